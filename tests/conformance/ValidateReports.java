// PixelMed's SR validator on many files in one virtual machine: the stylesheets take seconds to load.
public class ValidateReports {
    public static void main(String[] files) throws Exception {
        var validator = new com.pixelmed.validate.DicomSRValidator();
        for (String file : files) {
            System.out.println("File: " + file);
            System.out.print(validator.validate(file));
        }
    }
}
